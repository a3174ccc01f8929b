"""moto in this process: its WSGI applications, and how what it keeps survives the process."""
