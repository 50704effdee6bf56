"""Customers' directories (Microsoft Entra ID)."""

from allauth.socialaccount.adapter import DefaultSocialAccountAdapter


class DirectoryAdapter(DefaultSocialAccountAdapter):  # type: ignore[misc]
    """x"""
