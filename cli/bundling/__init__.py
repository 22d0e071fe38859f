"""What is attached to a report of a cluster that misbehaves: `quorate debug bundle`.

One archive with what brokers say of the cluster (`asking`, `grouping`), what their admin ports
show (`scraping`), and what lies on this machine's disks (`places` finds it, `local` reads it).
`contents` holds the members and their limits, `manifest` says what is in it and what could not be
had, `collecting` goes through all of it in order of worth: when the archive is full, ends of logs
are what is left out.

Rules:

* No record's key, value or header, nor what a client stored with an offset, is ever put in. Files
  below a data directory are listed, not copied; `meta.properties` is the exception.
* Of settings whose name says that they are secret only the name is put in (`redaction`). A settings
  file is never copied: what was parsed is written out.
* Everything is bounded: each member, the archive, each broker's time, how many brokers are asked
  and for how long altogether, names' look-ups included. What fails or is left out becomes a line
  of the manifest, and the archive is made anyhow.
* The answers are those of the other commands (`cli.survey`, `cli.quorum`, `cli.logdirs`,
  `cli.configs`, `cli.groups`); what is asked here only is what they do not show.
"""
