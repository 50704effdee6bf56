"""Sample customers, people and rooms, made only by `manage.py demo` and marked as demo on every page."""
