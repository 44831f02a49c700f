"""From a request to its answer: exemption, judgement, mode, response; never the client, never HTTP."""
