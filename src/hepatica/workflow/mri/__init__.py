"""MR verbs: simulate, holmium, agreement with SPECT."""
