"""The rules, a class a group of use cases. They know neither HTTP nor SQL."""
