"""Hints that no trial follows, and why. The list may only become shorter."""

_DISK = "it needs a disk that fails in the middle: make crash-test and make power-test do that"
_CLONE = "tests/test_clones.py makes each kind of clone, and sees this hint there"
_OBJECTS = "tests/git/test_batch.py damages and removes objects, and sees this hint there"
_CLOUD = "it needs a cloud store: tests/dvc/test_remotes.py follows it against one on loopback"
_INSIDE = "whoever asks catches it: nobody is shown it"
_RACE = "another process must act between two calls"
_FRAMEWORK = "it needs another version, or a failure, of a framework"

UNTRIED: dict[str, str] = {
    "deploy.act.Switch.go_live": _DISK,
    "deploy.act.Switch.go_live/2": _DISK,
    "deploy.act.Switch.recorded": _DISK,
    "deploy.act.recover": _DISK,
    "deploy.cleanup._record": _DISK,
    "deploy.undeploy._clear": _DISK,
    "deploy.undeploy._remove": _DISK,
    "dvc.content.Content._write_blob": _DISK,
    "dvc.content.Content.fetch": _INSIDE,
    "dvc.content._changing": _RACE,
    "dvc.pointers._check_not_lfs": "it needs git-lfs, which is not installed here",
    "dvc.remote._Transport._missing": _CLOUD,
    "dvc.remote._check_incoming": "Store._check_links refuses such a link before",
    "dvc.routing.Routes.check_push/2": _CLOUD,
    "dvc.routing.Routes.no_version": _CLOUD,
    "errors.hint_of/10": "it needs a disk that is broken",
    "errors.hint_of/2": "lsattr needs a file system with attributes",
    "errors.hint_of/7": "words: a shorter name",
    "errors.hint_of/9": "it needs a system without room for open files",
    "export.export._copy": _RACE,
    "export.export.export": _DISK,
    "git.batch.Batch._last_words": _OBJECTS,
    "git.batch.lacks": _OBJECTS,
    "git.clone.fetch_objects": _OBJECTS,
    "git.clone.fetch_objects/2": _OBJECTS,
    "git.commits.apart": _INSIDE,
    "git.commits.commit/2": "git.run.failure says it before: tests/test_clones.py",
    "git.commits.commit/3": "words; tests/hostile/cases.py has a commit of another encoding",
    "git.commits.date": "words; tests/hostile/cases.py has a commit of the year ten billion",
    "git.run._why_hidden/2": "it needs a repository that lies across two file systems",
    "git.run.ask_fast": _INSIDE,
    "git.run.failure/2": _CLONE,
    "git.run.failure/3": _CLONE,
    "git.run.failure/4": "it needs a remote that asks for a password: tests/git/test_remotes.py",
    "git.run.refetch": _CLONE,
    "git.run.refetch/2": "it needs a Git older than 2.36",
    "host.settings.require_project": _CLONE,
    "host.store.Store.path": "reading the history or the intent refuses such a name before",
    "loaders.keras.KerasLoader.flavor": _FRAMEWORK,
    "loaders.keras.KerasLoader.load": _FRAMEWORK,
    "loaders.selftest.run": _FRAMEWORK,
    "manager.demo._failed": "it needs a demo of a whole pipeline that fails halfway",
    "notebook.Question._act": "tests/test_notebook.py clicks, and reads what is said",
    "registry.tags.check_signed/3": "Git must say yes without naming the signer",
    "release.numbers._check_bytes_elsewhere": _RACE,
    "report.plots._bytes": "it needs a file of more than ten megabytes",
    "report.plots._commit/2": _INSIDE,
    "report.plots._data": "pointers.find_out says before that nobody tracks the file",
}
