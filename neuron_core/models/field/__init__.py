"""The neural field: locked geometry, a material branch that prompts steer, one small shader."""
