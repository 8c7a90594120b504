/** What the shell tells the page: `{lang, languages:[{code, name, dir, url}], worker, exit, theme}`. */
export const config = JSON.parse(document.getElementById("config").textContent);
