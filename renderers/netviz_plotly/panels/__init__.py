"""How each kind of view is drawn, a file for each subject."""
