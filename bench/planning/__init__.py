"""From what a person asks for to a plan that can run, or one clear line why it cannot."""
