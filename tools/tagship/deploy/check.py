"""The check of what is live: step 9 of a deploy, and of a rollback."""

from functools import partial

from tagship.deploy.act import Check
from tagship.errors import Corrupt
from tagship.host import metadata
from tagship.host.history import Place
from tagship.host.store import Store
from tagship.registry.settings import INSTALLED, Settings
from tagship.workspace.host import Host


def of(host: Host, model: str) -> Check:
    """The check of a model, as the settings of today say."""
    return partial(live, host.store(model), host.settings)


def live(store: Store, settings: Settings, place: Place) -> None:
    """Check that the link points to the version, and that its files are intact.

    Raises:
        Corrupt: they are not.
        SelfTestFailed: with ``after_switch: self_test``, the model does not answer as released.
    """
    directory = store.current.resolve()
    if directory != store.path(place.directory).resolve():
        raise Corrupt(f"{store.current} leads to {directory}", "")
    described = metadata.read(directory)
    problems = metadata.verify(directory, described, deep=False)
    if problems:
        raise Corrupt(f"{problems[0].path} {problems[0].what}", "")
    if settings.after_switch == "self_test":
        from tagship import loaders
        from tagship.loaders import selftest

        model = directory / described.path
        self_test = directory / described.self_test if described.self_test else None
        if not (settings.smoke_test == INSTALLED and loaders.missing(model)):
            selftest.run(model, self_test, settings.smoke_timeout)
