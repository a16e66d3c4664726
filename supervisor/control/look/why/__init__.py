"""Why a child is as it is: from facts to one sentence. Pure."""
