"""The texts of denials and what they tell programs; never the judgement itself."""
