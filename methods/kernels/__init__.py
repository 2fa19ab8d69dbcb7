"""The torch side of the methods: imported when training starts, so that lists stay instant."""
