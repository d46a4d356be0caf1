"""Where a model looks: class activation maps, attention, the highest losses."""
