"""
Records become an answer.

branch   what one Service contributes: its names, its records, its addresses
tree     labels from the zone down to the branches; addresses back to services; the serial
lookup   question → Result: what stands in the reply, or why there is nothing
answers  encoded answers by the octets of their question, kept until their node changes
"""
