"""Everything that is specific to the vendor's API: requests, answers, rate limit, retries."""
