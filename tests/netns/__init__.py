"""
Programs on both ends of a link that loses packets; needs root, because it makes namespaces.

wire      two network namespaces, and the link between them that a test can disturb
"""
