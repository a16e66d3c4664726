"""Durable: mailboxes whose messages, outcomes and states are in a store, and outlive the daemon."""
