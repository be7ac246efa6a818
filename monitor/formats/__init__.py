"""How messages are written for those who receive them: pure, and without a network.

Each format takes a message and gives a body. Text in a message is hostile.
"""
