"""What an administrator can choose: one validated value, from defaults, a YAML file and the environment."""
