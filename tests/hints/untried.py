UNTRIED: dict[str, str] = {}
