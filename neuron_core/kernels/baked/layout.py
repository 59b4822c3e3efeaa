"""How baked fields and what is drawn of them lie in memory: numbers that the C++ of the kernels shares.

Nothing is imported here, so that code without wheels can read it too.
"""

CELLS = 8  # voxels along the side of a brick
SIDE = CELLS + 1  # samples along it
SAMPLES = SIDE**3  # of a brick, x slowest
CHANNELS = 8  # material codes of a sample

BEAM_LOG2 = 6
BEAM = 1 << BEAM_LOG2  # rays of a tile
RECORD = 16  # floats of what a ray meets: codes, normal, distance, opacity, direction
LAYER = 8  # floats of what an instance shows at a ray: premultiplied color, opacity, distance, normal
PLACEMENT = 24  # floats of where an instance is: camera in its space, local from world, its offset

FAR = 1e30  # a distance or a time at which nothing is
OPAQUE = 1 / 255  # a smaller transmittance is set to 0
FAINT = 1e-3  # rays that meet less than this have no attributes
LOOK_EVERY = 2.0  # voxels with density for which attributes are read once

FEW = 24  # overlapping instances of a tile that fit on the stack
CURSOR = 56  # floats of what is kept of each other one
AT_ONCE = 64  # layers along one ray that are sorted together; of more, the nearest ones first
