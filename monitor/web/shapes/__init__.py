"""What the API says, for those who serve it and those who read it; no HTTP here.

The shapes are public: they may only gain fields.
"""
