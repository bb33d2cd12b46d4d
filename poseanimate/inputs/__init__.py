"""What a person brings: a picture's character, a motion, a prompt, a saved project."""
