"""A repository that wants the worst of whoever deploys from it."""
