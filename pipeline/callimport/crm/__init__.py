"""The vendor's API: requests, answers, rate limit, retries."""
