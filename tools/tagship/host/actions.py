"""What happens to a model on a host, in the words of its history."""

DEPLOY, ROLLBACK = "deploy", "rollback"
SWITCHES = (DEPLOY, ROLLBACK)
REJECT = "reject"  # of a version that failed its check after the switch
GATE = "gate"  # the verdict of the gate of what is live: it passed, or failed
UNDEPLOY = "undeploy"  # everything of the model here was removed
HOLD, RESUME = "hold", "resume"  # nothing goes live by itself, until it is resumed
ACCEPT = "accept"  # a tag that the server had moved: what it names now counts
PUSH = "push"  # the image of a version was pushed to a registry
FOLLOW = "follow"  # another rule selects from now on, and what it selects is live already
ACTIONS = (
    *SWITCHES, REJECT, GATE, "recover", "cleanup", UNDEPLOY, "pin", "unpin", HOLD, RESUME, FOLLOW,
    ACCEPT, PUSH,
)  # fmt: skip
