"""stub"""


def run(config, images, models):
    return {}
