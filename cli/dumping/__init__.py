"""What a broker's directory holds, file by file, for people who must know: `quorate log dump`.

Everything is read with the readers that a broker itself uses (`raftlog.disk`,
`partitions.storage`, `metadata.codec`), through a file system that can only read (`readonly`).
What a start would make of the write-ahead log is found by the real recovery, over an overlay in
memory (`trust`): it says up to where each group's own files must be valid. So wrong bytes are one
of two things. *Damage* lies where bytes had been durable, or where nothing tells that they had
not. *Unsettled* is what lies behind the last checkpoint: a crash may tear it, recovery cuts it and
takes it from the write-ahead log again.

Every reader is a generator of `Line`s, so that a dump takes no more memory than its largest batch
or record. Nothing here looks at a whole directory at once but `directory`.
"""
