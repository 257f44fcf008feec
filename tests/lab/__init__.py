"""Hosts in network namespaces with real servers: sshd, nginx, a proxy, SeaweedFS."""
