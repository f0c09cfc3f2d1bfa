"""
A cluster event becomes records.

source       what the service asks of either: apisource, filesource
apiserver    list and watch streams of the API server     objectfiles   the same from YAML files
listwatch    what to ask next: list, resume, list again   objects       what DNS needs of them
shapes       the API's JSON, as far as it is read         feed          into the tree, in batches
audit        what is kept beside what is listed           auditing      when, and what follows
supervision  no reader stops unnoticed
pairing      services joined with their endpoints         records       one of them → its branch
"""
