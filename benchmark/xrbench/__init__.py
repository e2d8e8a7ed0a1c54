"""Does a medical-image classifier hold up on another hospital's images, and is that difference real?"""

__version__ = "0.1.0"
