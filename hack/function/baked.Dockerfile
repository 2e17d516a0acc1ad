# The function with its model in a layer of its own. FUNCTION is the image of
# Dockerfile; the build context is a directory with model.h5.
ARG FUNCTION
FROM ${FUNCTION}
COPY model.h5 /model/
