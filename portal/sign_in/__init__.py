"""How people sign in: passwords, second factors, passkeys, customers' directories; allauth, closed to sign-up."""
