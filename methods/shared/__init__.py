"""What several methods share: answers, auxiliary losses, Fisher of texts and tasks, depth."""
