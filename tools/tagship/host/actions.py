"""What happens to a model on a host, in the words of its history."""

DEPLOY, ROLLBACK = "deploy", "rollback"
SWITCHES = (DEPLOY, ROLLBACK)
REJECT = "reject"  # of a version that failed its check after the switch
UNDEPLOY = "undeploy"  # everything of the model here was removed
HOLD, RESUME = "hold", "resume"  # nothing goes live by itself, until it is resumed
FOLLOW = "follow"  # another rule selects from now on, and what it selects is live already
ACTIONS = (*SWITCHES, REJECT, "recover", "cleanup", UNDEPLOY, "pin", "unpin", HOLD, RESUME, FOLLOW)
