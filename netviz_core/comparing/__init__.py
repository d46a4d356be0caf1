"""How two models are laid side by side: what each did, which layers correspond, where they part, and why."""
