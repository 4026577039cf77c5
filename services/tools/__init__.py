"""The catalogue of AI tools, and the door through which a request becomes a job."""
