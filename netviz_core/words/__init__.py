"""What everybody speaks: named axes, protocols, kinds, operations, errors, nested outputs."""
