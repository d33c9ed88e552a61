import sys

import hwb


@hwb.recipe(venv_backend="none")
def broken(session):
    sys.exit("enough")
