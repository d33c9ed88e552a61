import hwb


@hwb.recipe
def twice(session):
    pass


@hwb.recipe(name="twice")
def again(session):
    pass
