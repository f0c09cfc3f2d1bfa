"""
Why a name has its answer: a table of situations, put to a whole pod on a real API server.

situation  one row, and how it is put to a pod
names, outside, troubles, borders  the rows
cluster    the objects that they are about        around  the name servers outside
pod        the three processes                    dig     what a client sees
"""
