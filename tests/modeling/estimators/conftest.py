from hypothesis import settings

# Each example fits something; a time limit per example would fail at random on a busy machine.
settings.register_profile("no time limit", deadline=None)
settings.load_profile("no time limit")
