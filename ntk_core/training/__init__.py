"""Training of finite networks: gradient descent step by step, and by leaps.

Its modules are imported one by one: plans want to know what a leap is worth, and none of the training itself.
"""
