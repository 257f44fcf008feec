"""The pages whose commands are run: a server, leaving, starting from a script, the FAQ."""
