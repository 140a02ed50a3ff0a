from hypothesis import settings

# The loops that serve as oracles are slow on a busy machine; a time limit per example would fail at random.
settings.register_profile("no time limit", deadline=None)
settings.load_profile("no time limit")
