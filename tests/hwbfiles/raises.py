import hwb


@hwb.recipe(venv_backend="none")
def broken(session):
    answer = 41
    raise ValueError(f"not {answer}")
