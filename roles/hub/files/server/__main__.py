"""Started in the student's pod in the place of jupyterhub-singleuser, by the interpreter of the course's image."""

from coursehub_server import CourseServer

CourseServer.launch_instance()
