"""What `turnout bootstrap` creates, part by part."""
